"""What avaffect calls the files and folders that it writes; each name stands here alone."""

from __future__ import annotations

# Where `preprocess` and `predict` write unless they are told.
DEFAULT_OUT = "avaffect_out"
# What `preprocess` leaves of a video, see `store.prepared`.
RECORD = "preprocess.json"
CROPS = "cropped_aligned"
FEATURES = "features"
WAV = "audio.wav"
# Of an unfinished pass in segments, see `preprocessing.segments`.
SEGMENTS = "segments"
# What lies in a folder of the feature store, see `store.subject`.
FRAMES = "frames.parquet"
PROVENANCE = "provenance.json"
# What `predict` leaves beside the challenge's files, see `predicting.outputs`, `.records`.
TABLES = "tables"
RECORDS = "records"
# Videos that `predict` made of numbered pictures, see `media.numbered`.
MADE_VIDEOS = "made_videos"
# What `voice` writes, see `measuring.run`.
VOICES = "voices"
# Of single pictures, see `predicting.picture_outputs`: a table, and a record with the same stem.
PICTURES = "pictures"
# What `report` writes, see `reporting.report`; of several videos a page each in the folder.
REPORT = "report.html"
REPORTS = "reports"
SUMMARY = "summary.csv"
# What failed of many inputs, see `engines.failures`.
FAILURES = "failures.json"
# What `convert` writes, see `converting.run`: a folder a form, and in it which files are ours.
CONVERTED = "converted"
CONVERSIONS = "converted.json"
# Of what lies in object stores, see `remote.receipt`.
RECEIPTS = "receipts"
# What `submit` keeps beside numbered zips, see `challenge.submissions`.
SUBMISSIONS = "submissions.json"
# What `train` leaves, see `training.run`; `ensemble`, see `predictors.joined`.
RUN = "run.json"
CLIPS = "clips.csv"
JOINED = "joined.json"
