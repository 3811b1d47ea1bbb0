"""Makes a thumbnail: a JPEG in base64 in, a smaller JPEG in base64 out. Packages Pillow (see `build`)."""

import base64
import io

from PIL import Image


def lambda_handler(event, context):
    picture = Image.open(io.BytesIO(base64.b64decode(event["image"])))
    before = picture.size
    picture.thumbnail((event.get("width", 128), event.get("height", 128)))
    print(f"{before[0]}x{before[1]} -> {picture.size[0]}x{picture.size[1]}")
    out = io.BytesIO()
    picture.convert("RGB").save(out, "JPEG", quality=85)
    return {"width": picture.size[0], "height": picture.size[1], "image": base64.b64encode(out.getvalue()).decode()}
