/* Installs what is missing, in syntax that any Node understands: it runs before the right one is there.
 * Usage: node bin/ensure-install.cjs runtime|all
 * Sound means: every package of package-lock.json that this scope needs stands in node_modules at the
 * version that npm recorded there. Anything else is repaired by one `npm install` that follows the lock file. */
'use strict'
var fs = require('fs')
var path = require('path')
var spawnSync = require('child_process').spawnSync

var root = path.join(__dirname, '..')
var scope = process.argv[2] === 'runtime' ? 'runtime' : 'all'

function readJson(file) {
  try {
    return JSON.parse(fs.readFileSync(path.join(root, file), 'utf8'))
  } catch (_) {
    return undefined
  }
}

function firstFault() {
  var wanted = readJson('package-lock.json')
  if (!wanted) return undefined
  var present = readJson('node_modules/.package-lock.json')
  if (!present) return 'nothing is installed'
  var names = Object.keys(wanted.packages)
  for (var i = 0; i < names.length; i++) {
    var name = names[i]
    var want = wanted.packages[name]
    if (name === '' || want.optional || want.devOptional) continue
    if (scope === 'runtime' && want.dev) continue
    var have = present.packages[name]
    if (!have || have.version !== want.version) return name + ' is not at ' + want.version
    if (!fs.existsSync(path.join(root, name, 'package.json'))) return name + ' is incomplete'
  }
  var runtime = 'node_modules/node-' + process.platform + '-' + process.arch
  if (wanted.packages[runtime] && !fs.existsSync(path.join(root, runtime, 'bin', 'node'))) {
    return 'the Node runtime is missing'
  }
  return undefined
}

var fault = firstFault()
if (fault !== undefined) {
  process.stderr.write('millrace: installing dependencies (' + fault + '), about half a minute ...\n')
  var args = ['install', '--no-save', '--no-audit', '--no-fund', '--loglevel=error', '--ignore-scripts']
  if (scope === 'runtime') args.push('--omit=dev')
  var options = { cwd: root, stdio: ['ignore', 'ignore', 'inherit'] }
  var npm = process.env.npm_execpath
  var done = npm
    ? spawnSync(process.execPath, [npm].concat(args), options)
    : spawnSync('npm', args, options)
  if (done.status !== 0) {
    process.stderr.write('millrace: the installation failed; `npm install` shows why\n')
    process.exit(1)
  }
  var still = firstFault()
  if (still !== undefined) {
    process.stderr.write('millrace: the installation is still unsound: ' + still + '\n')
    process.exit(1)
  }
}
