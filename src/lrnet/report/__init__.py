"""What becomes of a `VideoResult`: a JSON document, a page, an annotated video.

Each has a module of its own (`json_report`, `html`, `overlay`), imported when it is wanted: a terminal user who asks
for none of them should not wait for them.
"""
