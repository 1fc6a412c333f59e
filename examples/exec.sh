#!/bin/sh
# Ask an HTTP API from a shell script, with a token that Postroom keeps. The token is in no argument, no
# environment and no file on a disk: curl reads it from a file in memory that is gone afterwards.
#
#   postroom credential set crm --programs      # once: any program may be handed it
#   examples/exec.sh 2026-01-01
set -eu

exec postroom exec --credential crm --as files -- sh -ceu '
    crm=$POSTROOM_DIRECTORY/crm
    {
        printf "header = \"Authorization: Bearer %s\"\n" "$(cat "$crm/token")"
        printf "url = \"%s/customers?since=%s\"\n" "$(cat "$crm/url")" "$1"
    } | curl --silent --show-error --fail --max-time 30 --config -
' sh "${1:-2026-01-01}"
