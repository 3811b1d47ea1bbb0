"""Answers an API Gateway proxy event (REST API, payload format 1.0), as one sees it behind /greetings/{name}."""

import json


def handler(event, context):
    if event["httpMethod"] != "GET":
        return response(405, {"message": "Method not allowed"}, Allow="GET")
    name = (event.get("pathParameters") or {}).get("name")
    if not name:
        return response(400, {"message": "name is missing"})
    language = (event.get("queryStringParameters") or {}).get("lang", "en")
    greeting = {"en": "Hello", "fr": "Bonjour", "de": "Hallo"}.get(language)
    if greeting is None:
        return response(404, {"message": f"no greeting in {language}"})
    caller = event["requestContext"]["identity"]["sourceIp"]
    print(f"{caller} greets {name} in {language}")
    return response(200, {"message": f"{greeting}, {name}!", "requestId": event["requestContext"]["requestId"]})


def response(status, body, **headers):
    return {
        "isBase64Encoded": False,
        "statusCode": status,
        "headers": {"Content-Type": "application/json", **headers},
        "body": json.dumps(body),
    }
