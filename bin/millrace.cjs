#!/usr/bin/env node
/* The door of every command. Old syntax, so that an old Node can say what it lacks. */
'use strict'
var path = require('path')
var major = Number(process.versions.node.split('.')[0])
if (major < 24) {
  process.stderr.write(
    'millrace: needs Node 24 or newer, this is ' + process.version + '. On Linux `npm start` brings it.\n'
  )
  process.exit(1)
}
/* Stripped and compiled code is kept between starts: half the start-up time and 20 MB of memory a process. A
 * directory that cannot be written only means that nothing is kept. The variable reaches threads and children. */
if (!process.env.NODE_COMPILE_CACHE) {
  var cache = path.join(__dirname, '..', 'node_modules', '.cache', 'millrace')
  require('node:module').enableCompileCache(cache)
  process.env.NODE_COMPILE_CACHE = cache
}
import('./main.ts').then(
  function (main) {
    return main.run(process.argv.slice(2))
  },
  function (error) {
    process.stderr.write('millrace: ' + (error && error.stack ? error.stack : error) + '\n')
    process.exit(70)
  }
)
