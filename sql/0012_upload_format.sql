-- Everything that is declared about how an upload is to be read, not its encoding alone.
ALTER TABLE bulk.import_jobs
    ADD upload_format jsonb NOT NULL DEFAULT '{}';     -- name -> text, as in the object's metadata
UPDATE bulk.import_jobs SET upload_format = jsonb_build_object('encoding', encoding) WHERE encoding IS NOT NULL;
ALTER TABLE bulk.import_jobs DROP encoding;
