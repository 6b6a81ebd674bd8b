/*
 * pq.c: a query to PostgreSQL, answered as tab-separated lines. README.md says how to run it.
 *
 * Written as for one client: PQconnectdb and PQexecParams wait for the database, sem_wait for a free connection. Here
 * each of these parks only the request that calls it, so one worker has as many queries under way as `connections`
 * allows. One OS thread runs all requests and changes between them only where one waits; the list of idle connections
 * needs no lock for that reason.
 */
#include <errno.h>
#include <libpq-fe.h>
#include <limits.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>

#include "syncless.h"

struct pq {
    const char *conninfo;
    const char *query;
    int64_t connections;

    sem_t free;    /* connections that no request is using, open or not */
    PGconn **idle; /* the open ones of these */
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

/* Whether the result is libpq's own complaint, that there is no connection, and not the database's about the query. */
static bool is_lost(const PGresult *result)
{
    return PQresultStatus(result) == PGRES_FATAL_ERROR && !PQresultErrorField(result, PG_DIAG_SQLSTATE);
}

static PGresult *query_once(const struct pq *pq, PGconn *conn, const char *parameter)
{
    int count = strstr(pq->query, "$1") ? 1 : 0;

    return PQexecParams(conn, pq->query, count, NULL, &parameter, NULL, NULL, 0);
}

/* Run the query, if need be on a connection made anew: the database may have been restarted since its last use. NULL if
 * there is no connection to be had; PQerrorMessage says why. */
static PGresult *query(const struct pq *pq, PGconn *conn, const char *parameter)
{
    PGresult *result = query_once(pq, conn, parameter);

    if (!is_lost(result))
        return result;
    PQclear(result);
    PQreset(conn);
    return PQstatus(conn) == CONNECTION_OK ? query_once(pq, conn, parameter) : NULL;
}

/* Hand a connection on to the next request, or close it. */
static void conn_give(struct pq *pq, PGconn *conn, bool keep)
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
    int rc = 0;

    for (int column = 0; column < columns && !rc; column++) {
        rc = sl_write(req, PQgetvalue(result, row, column), PQgetlength(result, row, column));
        if (!rc)
            rc = sl_write(req, column + 1 < columns ? "\t" : "\n", 1);
    }
    return rc;
}

static int write_rows(struct sl_request *req, const PGresult *result)
{
    int rc = sl_header(req, "Content-Type", "text/tab-separated-values; charset=utf-8");

    for (int row = 0; row < PQntuples(result) && !rc; row++)
        rc = write_row(req, result, row);
    return rc;
}

static int pq_handle(void *self, struct sl_request *req)
{
    struct pq *pq = self;
    PGresult *result;
    PGconn *conn;
    int rc;

    if (sem_wait(&pq->free) < 0)
        return -errno;
    conn = pq->idle_count ? pq->idle[--pq->idle_count] : PQconnectdb(pq->conninfo);
    result = query(pq, conn, req->query);
    if (PQresultStatus(result) != PGRES_TUPLES_OK)
        sl_log(req, SL_ERROR, "pq: %s", PQerrorMessage(conn));
    conn_give(pq, conn, !is_lost(result)); /* before the answer is written: a slow client shall not keep it */
    if (PQresultStatus(result) == PGRES_TUPLES_OK)
        rc = write_rows(req, result);
    else
        rc = is_lost(result) ? 503 : 500;
    PQclear(result);
    return rc;
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
