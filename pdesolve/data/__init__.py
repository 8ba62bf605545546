"""Data: labelled, lazy arrays of fields, the task that is learnt of them, the windows and batches that it takes."""
