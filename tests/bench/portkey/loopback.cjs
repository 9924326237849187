// Keeps the server on the loopback, at a free port, and says its address. Portkey's gateway listens at a fixed port, on
// every interface.
'use strict';

const { Server } = require('node:net');

const listen = Server.prototype.listen;

Server.prototype.listen = function (...parts) {
  const ready = parts.find((part) => typeof part === 'function');
  this.once('listening', () => console.error(`listening on 127.0.0.1:${this.address().port}`));
  return listen.call(this, { host: '127.0.0.1', port: 0 }, ready);
};
