/*
 * fuzz_cgi.c: what a CGI program writes: it is read in one piece, and in two, cut where the first byte says.
 *
 * Both must give the same head and the same rest, which is the body; and a head that is accepted leaves nothing in the
 * response that would be a second line of it.
 */
#include <assert.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "http/request/request.h"
#include "log/log.h"
#include "modules/cgi/cgi.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct result {
    int err;
    bool complete;
    int status;
    size_t head_size, body_at; /* where the body begins in the input */
};

static struct result read_output(const char *text, size_t size, size_t cut)
{
    struct request req = {.status = 200, .length = -1};
    struct output_head head = {0};
    struct script script = {.file = "fuzz"};
    struct result result = {0};
    const char *body = NULL;

    arena_init(&req.arena);
    if (cut)
        result.err = output_head_feed(&head, &req.view, &script, text, cut, &body);
    if (!result.err && !head.complete)
        result.err = output_head_feed(&head, &req.view, &script, text + cut, size - cut, &body);
    result.complete = head.complete;
    if (!result.err && head.complete) {
        assert(body >= text && body <= text + size);
        assert(req.status >= 200 && req.status <= 999);
        result.status = req.status;
        result.head_size = head.size;
        result.body_at = (size_t)(body - text);
        assert(result.head_size == result.body_at);
    }
    arena_release(&req.arena);
    return result;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    log_open("/dev/null"); /* most inputs are malformed, which is logged */
    dup2(log_original_stderr(), STDERR_FILENO);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct result whole, parts;
    char *text;

    if (size < 2)
        return -1;
    text = malloc(size - 1); /* of exactly that size, so that the sanitizer notices reads behind its end */
    memcpy(text, data + 1, size - 1);
    whole = read_output(text, size - 1, 0);
    parts = read_output(text, size - 1, data[0] % (size - 1));
    assert(whole.err == 0 || whole.err == -EPROTO);
    assert(whole.err == parts.err && whole.complete == parts.complete && whole.status == parts.status);
    assert(whole.head_size == parts.head_size && whole.body_at == parts.body_at);
    free(text);
    return 0;
}
