from bulk_pipeline_tests.reference import documents

for path, text in documents().items():
    path.write_text(text)
