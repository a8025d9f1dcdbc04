/**
 * Whether a client runs the pinned fork (protocol 6.1): it is made to execute what only that fork executes. Names of methods do not tell,
 * for a client may know the fork and have another one in its genesis file.
 */
import type { ExecutionClient } from './client.ts'
import type { ClientFault } from './transport.ts'

/** PUSH1 1 CLZ PUSH0 MSTORE PUSH1 32 PUSH0 RETURN: EIP-7939 came with Osaka. */
const CLZ = '0x60011e5f5260205ff3'
const CLZ_OF_ONE = `0x${'ff'.padStart(64, '0')}`

/** A text: why it is not the fork. Undefined: it is. */
export async function forkFault(
  client: ExecutionClient,
): Promise<string | ClientFault | undefined> {
  const answer = await client.question('eth_call', [{ data: CLZ, gas: '0x186a0' }, 'latest'])
  if (answer.ok && answer.value === CLZ_OF_ONE) return undefined
  if (!answer.ok && answer.fault.code !== 'RpcError') return answer.fault
  const told = answer.ok ? String(answer.value).slice(0, 80) : answer.fault.reason
  return `the client does not run the fork osaka: the opcode CLZ gives ${told}`
}
