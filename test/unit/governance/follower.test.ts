/** Whom a member believes about headers, and that one node cannot keep it where it is (protocol §5.6, GV-5). */
import { trustGenesis } from '../../../core/light/index.ts'
import { type FollowerContext, followerActor } from '../../../governance/follower.ts'
import { resumeLightClient } from '../../../governance/light-client.ts'
import type { FollowerInbox } from '../../../governance/messages.ts'
import type { About } from '../../../supervisor/index.ts'
import { testGenesis } from '../core/peg/world.ts'

const genesis = testGenesis()
const NOTHING = {
  header: new Uint8Array(0),
  certificate: new Uint8Array(0),
  nextValidators: new Uint8Array(0),
}
const LIAR = 0
const HONEST = 1

/** Nodes asked for headers, in order; each is answered by `answer`. */
function asks(
  claims: readonly (readonly [node: number, height: number])[],
  answer: (node: number) => FollowerInbox['payload'] | undefined,
  turns: number,
): number[] {
  const asked: number[] = []
  let nowMs = 1_000
  let context: FollowerContext = {
    client: resumeLightClient(genesis, trustGenesis(genesis)),
    claims: new Map(claims.map(([node, height]) => [node, { height, distrustedUntilMs: 0 }])),
    lookedAtMs: nowMs,
    contradicted: false,
  }
  let message = { type: 'follower.CheckFollowing', payload: {} } as FollowerInbox
  for (let turn = 0; turn < turns; turn++) {
    const about = { nowMs, state: 'Running' } as About<FollowerInbox>
    const step = followerActor.handle(context, message, about)
    context = step.context
    nowMs += 100
    message = { type: 'follower.CheckFollowing', payload: {} }
    for (const effect of step.effects ?? []) {
      if (!('kernel' in effect) || effect.kernel !== 'tell') continue
      const { payload } = effect.message as {
        payload: { node: number; requestId: string }
      }
      asked.push(payload.node)
      const payloadOf = answer(payload.node)
      if (payloadOf === undefined) continue
      message = {
        type: 'follower.HeadersReceived',
        payload: { ...payloadOf, node: payload.node, requestId: payload.requestId },
      } as FollowerInbox
    }
  }
  return asked
}

describe('a member behind the chain', () => {
  it('does not ask a node again that claims most and has nothing, but another one at once', () => {
    const empty = () => ({ headers: [] }) as unknown as FollowerInbox['payload']
    const claims = [
      [LIAR, 1_000_000],
      [HONEST, 10],
    ] as const
    expect(asks(claims, empty, 3)).toEqual([LIAR, HONEST])
  })

  it('does not ask a node again that answers with what is no header', () => {
    const garbage = () => ({ headers: [NOTHING] }) as unknown as FollowerInbox['payload']
    const claims = [
      [LIAR, 1_000_000],
      [HONEST, 10],
    ] as const
    expect(asks(claims, garbage, 3)).toEqual([LIAR, HONEST])
  })

  it('asks the others while one that claims more keeps it waiting, and in turn (5.6)', () => {
    const claims = [
      [LIAR, 1_000_000],
      [HONEST, 10],
    ] as const
    // 100 ms a turn, 10 s until an answer is given up.
    expect(asks(claims, () => undefined, 320)).toEqual([LIAR, HONEST, LIAR, HONEST])
  })
})
