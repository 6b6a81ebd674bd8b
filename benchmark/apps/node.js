// node node.js PORT: some workloads of app.py with node's http module, in one process.
'use strict';
const http = require('http');

const body = 'Hello, World\n';
const mebi = Buffer.alloc(1 << 20, 'x');

function reply(response, data) {
  response.writeHead(200, {'Content-Type': 'text/plain', 'Content-Length': Buffer.byteLength(data)});
  response.end(data);
}

function echo(request, response) {
  const pieces = [];
  request.on('data', (piece) => pieces.push(piece));
  request.on('end', () => reply(response, Buffer.concat(pieces)));
}

function upstream(request, response) {
  http.get(process.env.BENCHMARK_UPSTREAM, {agent: false}, (answer) => {
    const pieces = [];
    answer.on('data', (piece) => pieces.push(piece));
    answer.on('end', () => reply(response, Buffer.concat(pieces)));
  });
}

const paths = {
  '/hello': (request, response) => reply(response, body),
  '/sleep': (request, response) => setTimeout(reply, 100, response, body),
  '/mebi': (request, response) => reply(response, mebi),
  '/echo': echo,
  '/upstream': upstream,
};

http.createServer((request, response) => paths[request.url](request, response))
    .listen({port: Number(process.argv[2]), host: '127.0.0.1', backlog: 4096});
