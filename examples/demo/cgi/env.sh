#!/bin/sh
# The smallest CGI program: it shows what the server tells it.
echo "Content-Type: text/plain"
echo
echo "This is a shell script, process $$. Its environment:"
echo
env | sort
