"""What tests of several plugins share."""

import pytest

from mlpipe_awstest import Aws
from tests.plugins.emulated_aws import BUCKET


@pytest.fixture
def cloud(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> Aws:
    """An emulated AWS with a bucket, which this process's clients talk to."""
    for name, value in aws.environment().items():
        monkeypatch.setenv(name, value)
    aws.bucket(BUCKET)
    return aws
