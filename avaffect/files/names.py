"""What avaffect calls the files and folders that it writes; each name stands here alone."""

from __future__ import annotations

# What `preprocess` leaves of a video, see `store.prepared`.
RECORD = "preprocess.json"
CROPS = "cropped_aligned"
FEATURES = "features"
WAV = "audio.wav"
# What `predict` leaves beside the challenge's files, see `predicting.outputs`.
TABLES = "tables"
RECORDS = "records"
# What `report` writes, see `reporting.report`; of several videos a page each in the folder.
REPORT = "report.html"
REPORTS = "reports"
SUMMARY = "summary.csv"
# What `train` leaves, see `training.run`; `ensemble`, see `predictors.joined`.
RUN = "run.json"
JOINED = "joined.json"
