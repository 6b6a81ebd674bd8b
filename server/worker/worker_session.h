/* worker_session.h: sessions that an operator has with this worker. */
#ifndef WORKER_WORKER_SESSION_H
#define WORKER_WORKER_SESSION_H

/* A CHANNEL_SESSION has come: begin what the line asks for, or tell the client why not. Takes over fd. */
void session_begin(int fd, const char *line);

#endif
