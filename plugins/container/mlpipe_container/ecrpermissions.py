"""What a push to ECR needs, for the policies that ``mlpipe iam`` writes."""

from mlpipe import Permission
from mlpipe_aws import Settings

_PUSH = (
    "ecr:BatchCheckLayerAvailability",
    "ecr:BatchGetImage",
    "ecr:CompleteLayerUpload",
    "ecr:CreateRepository",
    "ecr:DescribeRepositories",
    "ecr:GetDownloadUrlForLayer",
    "ecr:InitiateLayerUpload",
    "ecr:ListImageReferrers",
    "ecr:PutImage",
    "ecr:TagResource",
    "ecr:UploadLayerPart",
)


def to_push(found: Settings, repository: str) -> tuple[Permission, ...]:
    """To make a repository and push to it; a token is for all of them."""
    place = f"arn:aws:ecr:{found.region}:*:repository/{repository}"
    return (
        Permission(_PUSH, (place,)),
        Permission(("ecr:GetAuthorizationToken",), ("*",)),
    )
