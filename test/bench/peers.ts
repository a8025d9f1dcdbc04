/**
 * Other chains' development nodes, from npm: 80 MB that nothing else needs, so they are no dependency but installed on demand beside
 * the build's other leavings. A bench whose peer cannot be had says so and goes on without.
 */
import { execFile } from 'node:child_process'
import { existsSync, mkdirSync } from 'node:fs'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const DIRECTORY = fileURLToPath(new URL('../../.millrace/bench-peers', import.meta.url))
const VERSIONS = { '@foundry-rs/anvil': '1.7.1', '@nomicfoundation/edr': '0.22.0' } as const
export type PeerPackage = keyof typeof VERSIONS

const INSTALL_MS = 180_000

/** The folder of a peer's package; undefined where it cannot be installed. */
export async function installPeer(name: PeerPackage): Promise<string | undefined> {
  const folder = `${DIRECTORY}/node_modules/${name}`
  if (existsSync(folder)) return folder
  mkdirSync(DIRECTORY, { recursive: true })
  const flags = ['--no-audit', '--no-fund', '--no-save', '--ignore-scripts', '--prefix', DIRECTORY]
  const all = Object.entries(VERSIONS).map(([peer, version]) => `${peer}@${version}`)
  try {
    await promisify(execFile)('npm', ['install', ...flags, ...all], { timeout: INSTALL_MS })
  } catch {
    return undefined
  }
  return existsSync(folder) ? folder : undefined
}

/** The program of anvil, which its package keeps in another one for each kind of machine. */
export async function anvilProgram(): Promise<string | undefined> {
  const folder = await installPeer('@foundry-rs/anvil')
  if (folder === undefined) return undefined
  const kind = process.arch === 'x64' ? 'amd64' : process.arch
  try {
    const require = createRequire(`${folder}/package.json`)
    return require.resolve(`@foundry-rs/anvil-${process.platform}-${kind}/bin/anvil`)
  } catch {
    return undefined
  }
}
