/* fetch.c: get a page with libcurl's easy interface, which blocks. */
#include <curl/curl.h>
#include <errno.h>

#include "syncless.h"

struct fetch {
    const char *url;
    const char *ca;
};

static const struct sl_option options[] = {
    SL_OPTION("url", SL_STRING, struct fetch, url, .flags = SL_REQUIRED, .help = "What to get."),
    SL_OPTION("ca", SL_PATH, struct fetch, ca, .help = "The certificate authority to trust."),
    {.name = NULL},
};

static size_t on_data(char *data, size_t size, size_t count, void *req)
{
    return sl_write(req, data, size * count) == 0 ? size * count : 0;
}

static int fetch_handle(void *self, struct sl_request *req)
{
    const struct fetch *f = self;
    CURL *curl = curl_easy_init();
    CURLcode code;

    curl_easy_setopt(curl, CURLOPT_URL, f->url);
    curl_easy_setopt(curl, CURLOPT_CAINFO, f->ca);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_data);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, req);
    code = curl_easy_perform(curl);
    curl_easy_cleanup(curl);
    if (code)
        sl_log(req, SL_ERROR, "fetch: %s", curl_easy_strerror(code));
    return code ? 502 : 0;
}

static int fetch_start(void *self)
{
    return curl_global_init(CURL_GLOBAL_DEFAULT) ? -EIO : 0;
}

const struct sl_module sl_module = {
    .abi = SL_ABI,
    .name = "fetch",
    .size = sizeof(struct fetch),
    .options = options,
    .start = fetch_start,
    .handle = fetch_handle,
};
