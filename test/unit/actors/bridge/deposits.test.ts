/** Approvals that come from peers (protocol §4.2: an approval covers every field of its claim, the proof included). */
import type { BridgeContext } from '../../../../actors/bridge/context.ts'
import { depositsDetected, quorumReceived } from '../../../../actors/bridge/deposits.ts'
import type { DepositOperation } from '../../../../actors/bridge/operations.ts'
import type { PegInClaim } from '../../../../core/block/index.ts'
import { genesisLedger } from '../../../../core/ledger/index.ts'
import {
  addressOf,
  approve,
  BitcoinWorld,
  claimOf,
  depositOf,
  seeded,
  testGenesis,
} from '../../core/peg/world.ts'
import { bridgeContext } from './context.ts'

const genesis = testGenesis()
const bitcoin = new BitcoinWorld()
const transaction = depositOf(genesis, 'alice', 5_000_000n, addressOf('alice'))
bitcoin.mine([transaction])
bitcoin.mine([], 3)
const claim = claimOf(bitcoin, transaction)

/** A bridge that follows the deposit of `claim`. */
function following(): BridgeContext {
  const context = bridgeContext(genesis, {
    validatorKey: genesis.validators[0]?.blsKey,
    ledger: genesisLedger(genesis),
    bitcoin: { tipHeight: 4, reachable: true },
  })
  const detected = { txid: claim.txid, bitcoinHeight: 1, deposits: [claim] }
  return depositsDetected(context, detected, 'flow', 0).context
}

function heard(given: PegInClaim): DepositOperation | undefined {
  const payload = { claim: given, approval: approve(genesis, given), peer: 'peer' }
  const { context } = quorumReceived(following(), payload, 1)
  return [...context.deposits.values()][0]
}

describe("a quorum's approval from a peer", () => {
  it('is taken for the claim that this node sees itself (PI-10)', () => {
    expect(heard(claim)?.step).toBe('Approved')
  })

  it('of another claim of the outpoint, say from before a reorg, takes the place of none', () => {
    const before = { ...claim, proof: { ...claim.proof, blockHash: seeded('stale') } }
    expect(heard(before)).toMatchObject({ step: 'Confirming', claim })
  })
})
