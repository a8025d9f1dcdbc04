/** The status page, one file without a build step, and the policy that lets it run nothing but itself. */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'

export interface Page {
  readonly html: string
  /** Content-Security-Policy: its own style and script by hash, its own origin, nothing else. */
  readonly policy: string
}

export function loadPage(): Page {
  const html = readFileSync(new URL('./page.html', import.meta.url), 'utf8')
  const policy = [
    "default-src 'none'",
    `style-src ${hashesOf(html, 'style')}`,
    `script-src ${hashesOf(html, 'script')}`,
    "connect-src 'self'",
    'img-src data:',
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; ')
  return { html, policy }
}

function hashesOf(html: string, tag: string): string {
  const inline = new RegExp(`<${tag}>([\\s\\S]*?)</${tag}>`, 'g')
  return [...html.matchAll(inline)]
    .map(
      ([, text]) =>
        `'sha256-${createHash('sha256')
          .update(text ?? '')
          .digest('base64')}'`,
    )
    .join(' ')
}
