"""The page and the service: videos come in over HTTP, wait in a queue, are judged by worker processes, and are shown.

Nothing here knows the method: `work` calls `lrnet.detector` and `lrnet.report`, everything else moves files, rows and
messages. `store` holds what is true, `queue` only wakes workers up, `worker` judges, `web` answers, `supervisor` runs
both.
"""
