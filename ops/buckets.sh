#!/bin/sh
# Creates the buckets, and users for the pipeline, for people who drop files, for people who fetch reports and exports
# and, if .env names one, for the webserver, which shows the output of runs. Repeating it sets the secrets of .env.
set -eu
mc alias set objects "$S3_URL" "$S3_ROOT_USER" "$S3_ROOT_PASSWORD" >/dev/null
mc mb --ignore-existing objects/uploads objects/archive objects/reports objects/exports objects/logs
allow() {
    mc admin policy create objects "$1" "/policies/$1.json"
    mc admin user add objects "$2" "$3"
    # mc fails to attach a policy that is attached already.
    mc admin policy attach objects "$1" --user "$2" || mc admin user info objects "$2" | grep -q "$1"
}
allow pipeline "$S3_ACCESS_KEY" "$S3_SECRET_KEY"
allow uploader "$S3_UPLOADER_ACCESS_KEY" "$S3_UPLOADER_SECRET_KEY"
allow reader "$S3_READER_ACCESS_KEY" "$S3_READER_SECRET_KEY"
[ -z "$S3_LOGS_ACCESS_KEY" ] || allow logs "$S3_LOGS_ACCESS_KEY" "$S3_LOGS_SECRET_KEY"
