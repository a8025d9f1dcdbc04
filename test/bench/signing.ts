/** How long four nodes and four members as real processes take to sign a batch with the key that they made. */
import { until } from '../../devnet/launcher/rpc.ts'
import { PATIENCE_MS, TestFederation } from '../e2e/federation.ts'
import { type SigningTimes, signingTimes } from '../e2e/signing-times.ts'
import { Account, booked, include, minted, payDeposit } from '../e2e/user.ts'
import type { Figure } from './figures.ts'

const NODES = 4
const DEPOSIT_SAT = 1_000_000_000n
const BURN_SAT = 1_000_000n
/** Issue 7. */
const AIM_P99_SECONDS = 5

export async function signingSpeed(
  batches: number,
  tell: (line: string) => void,
): Promise<readonly Figure[]> {
  const times = await signed(batches, tell)
  const figure = (metric: string, ms: number, rest: Partial<Figure> = {}): Figure => {
    const note = `${times.batches} batches, 3 of 4 members, 4 nodes`
    return { metric, unit: 's', better: 'lower', ours: ms / 1_000, note, ...rest }
  }
  return [
    figure('signing_p50', times.p50Ms),
    figure('signing_p99', times.p99Ms, { peers: { aim: AIM_P99_SECONDS } }),
  ]
}

async function signed(batches: number, tell: (line: string) => void): Promise<SigningTimes> {
  const federation = await TestFederation.start({ nodes: NODES, members: 4 })
  try {
    const { rpc, wallet } = federation
    await until('the key', PATIENCE_MS, async () => {
      const { epoch } = await rpc.call<{ readonly epoch: number }>('millrace_keygenStatus')
      return epoch === 1 ? epoch : undefined
    })
    const account = Account.random(Number(await rpc.call<string>('eth_chainId')))
    await minted(rpc, await payDeposit(federation, account.address, DEPOSIT_SAT))
    for (let done = 0; done < batches; done++) {
      await booked(rpc, await include(rpc, await account.burn(wallet.address, BURN_SAT)))
      tell(`${done + 1} of ${batches} batches`)
    }
    const times = signingTimes(federation, NODES)
    if (times === undefined) throw new Error('no batch was signed')
    return times
  } finally {
    await federation.stop()
  }
}
