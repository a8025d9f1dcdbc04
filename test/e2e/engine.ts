/** The engine port's compliance suite on a real execution client; its files are no tests of their own, for each test starts a client. */
import { spawn } from 'node:child_process'
import { readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Outcome, ScenarioOptions } from './scenario.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const CONFIG = {
  rootDir: ROOT,
  testEnvironment: 'node',
  extensionsToTreatAsEsm: ['.ts'],
  transform: { '\\.ts$': './test/jest/transform.cjs' },
  testMatch: ['<rootDir>/test/e2e/external-client-suite.ts'],
}

interface Results {
  readonly numPassedTests: number
  readonly numFailedTests: number
  readonly numPendingTests: number
  readonly numRuntimeErrorTestSuites: number
}

export async function engine({ tell }: ScenarioOptions): Promise<Outcome> {
  const written = join(tmpdir(), `millrace-engine-${process.pid}.json`)
  const options = ['--json', `--outputFile=${written}`, '--runInBand', '--verbose']
  const jest = join(ROOT, 'node_modules/jest/bin/jest.js')
  const flags = ['--experimental-vm-modules', '--disable-warning=ExperimentalWarning']
  const args = [...flags, jest, '--config', JSON.stringify(CONFIG), ...options]
  const child = spawn(process.execPath, args, { cwd: ROOT, stdio: ['ignore', 'ignore', 'pipe'] })
  child.stderr.setEncoding('utf8').on('data', (text: string) => tell(text.trimEnd()))
  await new Promise((resolve) => child.once('close', resolve))
  try {
    const results = JSON.parse(readFileSync(written, 'utf8')) as Results
    const failed = results.numFailedTests + results.numRuntimeErrorTestSuites
    const figures = { passed: results.numPassedTests, failed, skipped: results.numPendingTests }
    return { ok: failed === 0, figures }
  } finally {
    rmSync(written, { force: true })
  }
}
