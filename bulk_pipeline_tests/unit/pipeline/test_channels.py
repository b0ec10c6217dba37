"""The signature of webhooks, as the libraries of Standard Webhooks check it."""

from datetime import UTC, datetime

from bulk_pipeline.pipeline.channels import signature


def test_the_signature_is_that_of_the_example_of_standard_webhooks() -> None:
    at = datetime.fromtimestamp(1614265330, UTC)
    secret, message_id = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek"
    assert signature(secret, message_id, at, b'{"test": 2432232314}') == {
        "webhook-id": message_id,
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }
