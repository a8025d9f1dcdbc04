/**
 * Compiles the system contracts: `node vm/evm/contracts/compile.ts` writes artifacts.json, with `--check` it only compares
 * and fails when the file is stale. A directory may be named in place of this one. A process of its own, because solc installs a throwing `unhandledRejection` listener.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import { hexBytes, keccak256, toHex } from '../../../crypto/index.ts'

type Compiled = {
  readonly abi: readonly unknown[]
  readonly evm: {
    readonly bytecode: { readonly object: string }
    readonly deployedBytecode: { readonly object: string }
  }
}

type CompilerOutput = {
  readonly errors?: readonly { readonly severity: string; readonly formattedMessage: string }[]
  readonly contracts?: Readonly<Record<string, Readonly<Record<string, Compiled>>>>
}

const named = process.argv.slice(2).find((argument) => !argument.startsWith('--'))
const directory = named === undefined ? fileURLToPath(new URL('.', import.meta.url)) : `${named}/`
const target = `${directory}artifacts.json`
const compiler: { compile(input: string): string } = createRequire(import.meta.url)('solc')

const names = readdirSync(directory)
  .filter((name) => name.endsWith('.sol'))
  .sort()
const sources = names.map((name) => ({ name, content: readFileSync(directory + name, 'utf8') }))
const artifacts = `${JSON.stringify(compile(), null, 2)}\n`

if (!process.argv.includes('--check')) {
  writeFileSync(target, artifacts)
} else if (readFileSync(target, 'utf8') !== artifacts) {
  process.stderr.write('artifacts.json does not match the sources: npm run contracts\n')
  process.exitCode = 1
}

function compile(): Record<string, unknown> {
  const settings = {
    optimizer: { enabled: true, runs: 200 },
    evmVersion: 'osaka',
    metadata: { bytecodeHash: 'none', appendCBOR: false },
    outputSelection: {
      '*': { '*': ['abi', 'evm.bytecode.object', 'evm.deployedBytecode.object'] },
    },
  }
  const input = {
    language: 'Solidity',
    sources: Object.fromEntries(sources.map(({ name, content }) => [name, { content }])),
    settings,
  }
  const output: CompilerOutput = JSON.parse(compiler.compile(JSON.stringify(input)))
  for (const error of output.errors ?? []) {
    process.stderr.write(error.formattedMessage)
    if (error.severity === 'error') process.exit(1)
  }
  const result: Record<string, unknown> = {}
  for (const { name } of sources) {
    const contract = name.replace('.sol', '')
    const compiled = output.contracts?.[name]?.[contract]
    if (compiled === undefined) throw new Error(`${name} holds no contract ${contract}`)
    result[contract] = {
      abi: compiled.abi,
      deployedBytecode: compiled.evm.deployedBytecode.object,
      bytecode: compiled.evm.bytecode.object,
      hash: toHex(keccak256(hexBytes(compiled.evm.deployedBytecode.object))),
    }
  }
  return result
}
