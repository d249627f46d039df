/** Which addresses can be reached from this machine alone. */
import { isIPv4 } from 'node:net'

export function isLoopback(host: string): boolean {
  const name = host.toLowerCase()
  return name === 'localhost' || name === '::1' || (isIPv4(name) && name.startsWith('127.'))
}
