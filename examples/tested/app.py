"""Greets whom the event names."""


def handler(event, context):
    print("greeting", event["name"])
    return {"message": f"Hello, {event['name']}!"}
