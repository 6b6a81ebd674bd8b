"""Fetch a URL with urllib, with a ticker. Arguments: the URL, a file of trusted certificates."""
import ssl
import sys
import urllib.request

from ticker import ticking

if __name__ == "__main__":
    context = ssl.create_default_context(cafile=sys.argv[2]) if len(sys.argv) > 2 else None
    with ticking(), urllib.request.urlopen(sys.argv[1], context=context) as response:
        body = response.read()
    print(response.status, len(body), "bytes")
