'use strict'
/* Strips the types with Node's own stripper: lines and columns stay, no dependency. */
const { createHash } = require('node:crypto')
const { stripTypeScriptTypes } = require('node:module')

module.exports = {
  process: (source) => ({ code: stripTypeScriptTypes(source, { mode: 'strip' }) }),
  getCacheKey: (source, path, options) =>
    createHash('sha256')
      .update(['1', process.version, path, options.configString, String(options.instrument), source].join('\0'))
      .digest('hex'),
}
