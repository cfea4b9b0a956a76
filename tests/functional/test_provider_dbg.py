import sys; sys.path.insert(0,'/work/main')
import pytest
from tests.functional.test_provider_cancel import *
pytest_plugins = ("tests.functional.provider_fixtures",)
def test_x(workspace, apprunner_admin):
    workspace.up("half", lambda: service("half-service"))
    apprunner_admin.behave(clock_speed=0)
    with ThreadPoolExecutor() as pool:
        stopped = pool.submit(lambda: workspace.up("half", lambda: service("half-service", variable="2")))
        try:
            eventually(lambda: status(apprunner_admin, "half-service") == "OPERATION_IN_PROGRESS", 8)
        except AssertionError:
            print(status(apprunner_admin, "half-service"), stopped.done(), apprunner_admin.calls()[-5:])
            apprunner_admin.behave(clock_speed=1)
            print(stopped.result(timeout=20))
            raise
