/**
 * The names of our commands.
 */
export const COMMANDS = {
  create: 'dlenv:create-environment',
  showLaunch: 'dlenv:show-launch',
  notebook: 'dlenv:open-notebook',
  console: 'dlenv:open-console',
  terminal: 'dlenv:open-terminal',
  connect: 'dlenv:connect-environment',
  logs: 'dlenv:show-logs',
  takeAlong: 'dlenv:take-environment-along',
  start: 'dlenv:start-environment',
  stop: 'dlenv:stop-environment',
  restart: 'dlenv:restart-environment',
  recreate: 'dlenv:recreate-environment',
  remove: 'dlenv:remove-environment',
  move: 'dlenv:move-notebook',
  refresh: 'dlenv:refresh',
  doctor: 'dlenv:check-health',
  engine: 'dlenv:use-engine',
  sidebar: 'dlenv:show-sidebar'
} as const;
