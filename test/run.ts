/**
 * `npm test [-- PATTERN …]`: unit, arch and port tests. `npm run test:all`: the rest as well: independent
 * vectors and whole processes. Further arguments go to jest.
 */
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const rest = process.argv.slice(2)
const all = rest.includes('--all')
const jest = fileURLToPath(new URL('../node_modules/jest/bin/jest.js', import.meta.url))
const projects = all ? ['spec', 'e2e'] : ['fast']
const args = ['--experimental-vm-modules', '--disable-warning=ExperimentalWarning', jest]
args.push('--selectProjects', ...projects, ...(all ? ['--runInBand'] : []))
const passed = rest.filter((argument) => argument !== '--all')
if (passed.length > 0) args.push('--', ...passed)

// As of `bin/millrace.cjs`: the threads and processes of tests load what others have compiled.
const cache = fileURLToPath(new URL('../node_modules/.cache/millrace', import.meta.url))
const env = { NODE_COMPILE_CACHE: cache, ...process.env }
const child = spawn(process.execPath, args, { cwd: root, env, stdio: 'inherit' })
child.on('exit', (code, signal) => {
  process.exitCode = code ?? (signal === null ? 1 : 130)
})
