#!/bin/sh
# The four buckets, and a user each for the pipeline, for those who drop files and for those who fetch reports and
# exports. Repeating it changes secrets to what .env says now.
set -eu
mc alias set objects "$S3_URL" "$S3_ROOT_USER" "$S3_ROOT_PASSWORD" >/dev/null
mc mb --ignore-existing objects/uploads objects/archive objects/reports objects/exports
allow() {
    mc admin policy create objects "$1" "/policies/$1.json"
    mc admin user add objects "$2" "$3"
    # Attaching again what is attached already is an error of mc's.
    mc admin policy attach objects "$1" --user "$2" || mc admin user info objects "$2" | grep -q "$1"
}
allow pipeline "$S3_ACCESS_KEY" "$S3_SECRET_KEY"
allow uploader "$S3_UPLOADER_ACCESS_KEY" "$S3_UPLOADER_SECRET_KEY"
allow reader "$S3_READER_ACCESS_KEY" "$S3_READER_SECRET_KEY"
