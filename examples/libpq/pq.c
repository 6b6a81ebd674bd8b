/*
 * pq.c: a query to PostgreSQL, answered as tab-separated lines. README.md says how to run it.
 *
 * It is written as for one client: PQconnectdb and PQexecParams wait for the database, sem_wait for a free connection.
 * Here each of these parks only the request that calls it, so one worker has as many queries under way as `connections`
 * allows. One OS thread runs all requests and switches between them only where one waits, so the list of idle
 * connections needs no lock.
 */
#include <errno.h>
#include <libpq-fe.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>

#include "syncless.h"

struct pq {
    const char *conninfo;
    const char *query;
    int64_t connections;

    sem_t free;    /* counts the connections that no request is using, open or not */
    PGconn **idle; /* the open ones of these; owned */
    size_t idle_count;
};

static const struct sl_option options[] = {
    SL_OPTION("conninfo", SL_STRING, struct pq, conninfo, .default_value = "",
              .help = "Where the database is, in libpq's notation."),
    SL_OPTION("query", SL_STRING, struct pq, query, .help = "SQL to run; $1 is the query string of the request.",
              .flags = SL_REQUIRED),
    SL_OPTION("connections", SL_INTEGER, struct pq, connections, .default_value = "10",
              .help = "Most connections that a worker opens; further requests wait for one.", .min = 1, .max = 10000),
    {.name = NULL},
};

static int pq_start(void *self)
{
    struct pq *pq = self;

    pq->idle = sl_must(calloc(pq->connections, sizeof(*pq->idle)));
    sem_init(&pq->free, 0, pq->connections);
    return 0;
}

static void pq_stop(void *self)
{
    struct pq *pq = self;

    while (pq->idle_count)
        PQfinish(pq->idle[--pq->idle_count]);
    free(pq->idle);
    sem_destroy(&pq->free);
}

/* Whether the result is an error of libpq itself, that there is no connection, and not one of the database. */
static bool is_lost(const PGresult *result)
{
    return PQresultStatus(result) == PGRES_FATAL_ERROR && !PQresultErrorField(result, PG_DIAG_SQLSTATE);
}

static PGresult *pq_query_once(const struct pq *pq, PGconn *conn, const char *parameter)
{
    int count = strstr(pq->query, "$1") ? 1 : 0;

    return PQexecParams(conn, pq->query, count, NULL, &parameter, NULL, NULL, 0);
}

/* Run the query; if the connection is lost, once more on a new one: the database may have been restarted since its last
 * use. Returns NULL if there is no connection; PQerrorMessage says why. */
static PGresult *pq_query(const struct pq *pq, PGconn *conn, const char *parameter)
{
    PGresult *result = pq_query_once(pq, conn, parameter);

    if (!is_lost(result))
        return result;
    PQclear(result);
    PQreset(conn);
    return PQstatus(conn) == CONNECTION_OK ? pq_query_once(pq, conn, parameter) : NULL;
}

/* Keep a connection for the next request, or close it. */
static void pq_give_back(struct pq *pq, PGconn *conn, bool keep)
{
    if (keep)
        pq->idle[pq->idle_count++] = conn;
    else
        PQfinish(conn);
    sem_post(&pq->free);
}

static int write_row(struct sl_request *req, const PGresult *result, int row)
{
    int columns = PQnfields(result);
    int err = 0;

    for (int column = 0; column < columns && !err; column++) {
        err = sl_write(req, PQgetvalue(result, row, column), PQgetlength(result, row, column));
        if (!err)
            err = sl_write(req, column + 1 < columns ? "\t" : "\n", 1);
    }
    return err;
}

static int write_rows(struct sl_request *req, const PGresult *result)
{
    int err = sl_header(req, "Content-Type", "text/tab-separated-values; charset=utf-8");

    for (int row = 0; row < PQntuples(result) && !err; row++)
        err = write_row(req, result, row);
    return err;
}

static int pq_handle(void *self, struct sl_request *req)
{
    struct pq *pq = self;
    PGresult *result;
    PGconn *conn;
    int status;

    if (sem_wait(&pq->free) < 0)
        return -errno;
    conn = pq->idle_count ? pq->idle[--pq->idle_count] : PQconnectdb(pq->conninfo);
    result = pq_query(pq, conn, req->query);
    if (PQresultStatus(result) != PGRES_TUPLES_OK)
        sl_log(req, SL_ERROR, "pq: %s", PQerrorMessage(conn));
    pq_give_back(pq, conn, !is_lost(result)); /* before the response: a slow client must not keep it */
    if (PQresultStatus(result) == PGRES_TUPLES_OK)
        status = write_rows(req, result);
    else
        status = is_lost(result) ? 503 : 500;
    PQclear(result);
    return status;
}

const struct sl_module sl_module = {
    .abi = SL_ABI,
    .name = "pq",
    .size = sizeof(struct pq),
    .options = options,
    .start = pq_start,
    .handle = pq_handle,
    .stop = pq_stop,
};
