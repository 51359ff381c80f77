"""The page and the service: videos come in over HTTP, wait in a queue, are judged by worker processes, and are shown.

Nothing here knows the method: `work` calls `lrnet.detector` and `lrnet.report`, everything else moves files, rows and
messages. `database` holds the state of every video and is the queue, `worker` judges, `web` answers, `supervisor` runs
both.
"""
