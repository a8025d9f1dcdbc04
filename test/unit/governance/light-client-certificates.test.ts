import { genesisLedger } from '../../../core/ledger/index.ts'
import { trustGenesis } from '../../../core/light/index.ts'
import { followHeaders, resumeLightClient } from '../../../governance/light-client.ts'
import type { HeadStore } from '../../../governance/port.ts'
import { Trust } from '../../../governance/trust.ts'
import { testGenesis } from '../core/peg/world.ts'
import { HeaderChain } from './world.ts'

const genesis = testGenesis()
const nowhere: HeadStore = { load: async () => undefined, save: async () => undefined }

it('P 5.6: what the follower hands over as certified the vault believes, whatever node sent it', async () => {
  const chain = new HeaderChain(genesis)
  const first = chain.commit(genesisLedger(genesis))
  const second = chain.commit()
  // In a run of headers under one set only the last certificate is looked at: the first one is the liar's.
  const liars = {
    ...first,
    certificate: { ...first.certificate, signature: second.certificate.signature },
  }
  const followed = followHeaders(resumeLightClient(genesis, trustGenesis(genesis)), [liars, second])
  if (!followed.ok) throw new Error(followed.error.code)
  const trust = new Trust({ genesis, store: nowhere, nowMs: () => 1_700_000_000_000 })
  for (const { certified, height } of followed.value.recent) {
    if (certified === undefined || height === 0) continue
    expect([height, await trust.rootOf(certified)]).toEqual([
      height,
      expect.objectContaining({ ok: true }),
    ])
  }
})
