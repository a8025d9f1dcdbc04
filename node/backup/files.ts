/** What of a node a backup holds, and under which names. */
import type { NodeConfig } from '../config/index.ts'

export const CHAIN = 'chain/data.mdb'
export const STATE = 'evm/data.mdb'
export const GUARD = 'sign-guard'

/** Files that the configuration names: name in the backup, path on this machine. */
export function configuredFiles(config: NodeConfig): readonly (readonly [string, string])[] {
  const { governance } = config
  const named = {
    genesis: config.genesisFile,
    'validator-key': config.validatorKeyFile,
    'validator-password': config.validatorPasswordFile,
    'network-key': config.networkKeyFile,
    authority: governance.authorityFile,
    certificate: governance.certificateFile,
    'private-key': governance.privateKeyFile,
  }
  return Object.entries(named).flatMap(([name, path]) => {
    return path === undefined ? [] : [[`files/${name}`, path] as const]
  })
}
