"""Greets the person named in the event: {"first_name": "Ada", "last_name": "Lovelace"}."""


def lambda_handler(event, context):
    message = "Hello {} {}!".format(event["first_name"], event["last_name"])
    print(message)
    return {"message": message}
