"""App Runner, the tagging API, ECR and Lambda, seen through boto3."""
