"""The Lambda API (https://docs.aws.amazon.com/lambda/latest/api/), one file per resource."""
