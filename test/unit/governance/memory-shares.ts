/** A member's share store in memory, which outlives its incarnations. */
import { toHex } from '../../../crypto/index.ts'
import type { HeldShare, SessionSecret, ShareStore } from '../../../governance/tree.ts'

export class MemoryShares {
  readonly sessions = new Map<string, SessionSecret>()
  readonly shares = new Map<string, HeldShare>()

  /** `io` performs each access; what it never performs did not happen. */
  store(io: <T>(label: string, act: () => T) => Promise<T> = async (_, act) => act()): ShareStore {
    return {
      session: (id) => io('read session', () => this.sessions.get(toHex(id))),
      saveSession: (session) =>
        io('save session', () => void this.sessions.set(toHex(session.sessionId), session)),
      sessionCount: () => io('count sessions', () => this.sessions.size),
      share: (id) => io('read share', () => this.shares.get(toHex(id))),
      shareOnDisk: (id) => io('read share', () => this.shares.get(toHex(id))),
      saveShare: (held) =>
        io('save share', () => void this.shares.set(toHex(held.sessionId), held)),
      forgetSessions: (epoch) =>
        io('forget sessions', () => {
          for (const [name, session] of this.sessions) {
            if (session.epoch <= epoch) this.sessions.delete(name)
          }
        }),
    }
  }
}
