"""A `VideoResult` as a JSON document, a page, an annotated video.

Each has its own module (`json_report`, `html`, `overlay`), imported when it is wanted: a terminal user who asks
for none of them should not wait for them.
"""
