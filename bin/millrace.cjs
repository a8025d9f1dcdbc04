#!/usr/bin/env node
/* The door of every command. Old syntax, so that an old Node can say what it lacks. */
'use strict'
var major = Number(process.versions.node.split('.')[0])
if (major < 24) {
  process.stderr.write(
    'millrace: needs Node 24 or newer, this is ' + process.version + '. On Linux `npm start` brings it.\n'
  )
  process.exit(1)
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
