/**
 * Wires the rooms of this extension to JupyterLab and Notebook 7.
 */
import {
  ILayoutRestorer,
  type JupyterFrontEnd,
  type JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { ICommandPalette, showErrorMessage } from '@jupyterlab/apputils';
import { ILauncher } from '@jupyterlab/launcher';
import { INotebookTracker } from '@jupyterlab/notebook';
import type { KernelSpec } from '@jupyterlab/services';
import { ISettingRegistry } from '@jupyterlab/settingregistry';
import { IStatusBar } from '@jupyterlab/statusbar';
import {
  ITranslator,
  nullTranslator,
  type TranslationBundle
} from '@jupyterlab/translation';
import { Menu } from '@lumino/widgets';
import * as React from 'react';

import { Actions } from './actions';
import { API } from './api';
import { COMMANDS } from './commandIds';
import { addCommands } from './commands';
import { CurrentEnvironment } from './current';
import { EnginesModel } from './engines';
import { GpusModel } from './gpus';
import { environmentIcon } from './icons';
import { JobsModel } from './jobs';
import { KernelsModel } from './kernels';
import { EnvironmentsModel } from './model';
import {
  kernelExitNotifier,
  notifyOfIdleness,
  notifyOfLaunches
} from './notifications';
import { Reconnection } from './reconnection';
import type { IServices } from './services';
import { Sidebar, Status } from './sides';
import { IEnvironments } from './tokens';
import { View } from './view';
import { Views } from './views';
import { type IEnvironment, isEnvironmentEvent, parseIdleEvent } from './wire';
import { isEngineEvent } from './wireEngines';
import { parseProgressEvent } from './wireJobs';
import { parseKernelExitEvent } from './wireKernels';

export { IEnvironments } from './tokens';
export type { IEnvironment, Status } from './wire';

const PLUGIN = 'jupyter-dlenv:plugin';
/** How the names of our kernels begin. */
const KERNEL = 'dlenv-';

const environments: JupyterFrontEndPlugin<IEnvironments> = {
  id: 'jupyter-dlenv:environments',
  description:
    'Knows the DL environments of this server and keeps the list of kernels in step.',
  autoStart: true,
  provides: IEnvironments,
  optional: [ITranslator],
  activate: (
    app: JupyterFrontEnd,
    translator: ITranslator | null
  ): IEnvironments => {
    const { events, kernelspecs, serverSettings } = app.serviceManager;
    const trans = (translator ?? nullTranslator).load('jupyter_dlenv');
    const api = new API(serverSettings, languageOf(trans));
    // Nothing is asked before JupyterLab has drawn itself.
    const model = new EnvironmentsModel(() => api.environments(), app.restored);
    events.stream.connect((_, event) => {
      if (isEnvironmentEvent(event)) {
        model.notify();
      }
    });
    // Left alone, JupyterLab looks for new kernels once a minute.
    let isFirst = true;
    model.changed.connect(() => {
      // It has just asked, and would draw all its tiles again.
      if (!isFirst || !isInStep(model.environments, kernelspecs.specs)) {
        void kernelspecs.refreshSpecs();
      }
      isFirst = false;
    });
    return model;
  }
};

const views: JupyterFrontEndPlugin<void> = {
  id: PLUGIN,
  description: 'Launches DL environments, shows them, and leads into them.',
  autoStart: true,
  requires: [IEnvironments],
  optional: [
    ICommandPalette,
    ILauncher,
    ILayoutRestorer,
    INotebookTracker,
    ISettingRegistry,
    IStatusBar,
    ITranslator
  ],
  activate: (
    app: JupyterFrontEnd,
    environments: IEnvironments,
    palette: ICommandPalette | null,
    launcher: ILauncher | null,
    restorer: ILayoutRestorer | null,
    tracker: INotebookTracker | null,
    settings: ISettingRegistry | null,
    statusBar: IStatusBar | null,
    translator: ITranslator | null
  ): void => {
    const trans = (translator ?? nullTranslator).load('jupyter_dlenv');
    const { events, sessions, serverSettings } = app.serviceManager;
    const { commands } = app;
    const api = new API(serverSettings, languageOf(trans));
    const jobs = new JobsModel(api);
    const menu = new Menu({ commands });
    const services: IServices = {
      api,
      environments,
      jobs,
      gpus: new GpusModel(count => api.gpus(count)),
      engines: new EnginesModel(api),
      kernels: new KernelsModel(sessions),
      actions: new Actions(),
      current: new CurrentEnvironment(environments, tracker),
      trans,
      run: (command, args = {}) => {
        commands.execute(command, { ...args }).catch(error => {
          void showErrorMessage(trans.__('This did not work'), error);
        });
      },
      menu: (environment, x, y) => openMenu(menu, environment, x, y),
      directory: () => {
        const path = tracker?.currentWidget?.context.path ?? '';
        return path.split('/').slice(0, -1).join('/');
      },
      open: ({ path, type }) => {
        const command = type === 'console' ? 'console:open' : 'docmanager:open';
        void commands.execute(command, { path, activate: true });
      }
    };

    const notifyOfKernelExit = kernelExitNotifier(services);
    const reconnection = new Reconnection(() => api.ping());
    app.serviceManager.connectionFailure.connect(() => reconnection.suspect());
    tracker?.widgetAdded.connect((_, { sessionContext }) => {
      reconnection.watch(sessionContext);
      // Events are missed for some time after the server was away.
      sessionContext.statusChanged.connect((context, status) => {
        const kernel = context.session?.kernel;
        if (kernel?.name.startsWith(KERNEL) && status === 'autorestarting') {
          void notifyOfKernelExit(kernel.id);
        }
      });
    });

    const { engines } = services;
    const refreshEngines = (): void => {
      void engines.refresh().catch(() => undefined);
    };
    void app.restored.then(refreshEngines);
    engines.switched.connect(() => {
      services.gpus.forget();
      // Shown in the sidebar where it fails.
      void environments.refresh().catch(() => undefined);
    });

    events.stream.connect((_, event) => {
      if (isEngineEvent(event)) {
        refreshEngines();
      }
      const progress = parseProgressEvent(event);
      if (progress) {
        jobs.onEvent(progress);
      }
      const exit = parseKernelExitEvent(event);
      if (exit) {
        void notifyOfKernelExit(exit.kernelId, exit);
      }
      const idle = parseIdleEvent(event);
      if (idle) {
        notifyOfIdleness(services, idle);
      }
    });
    // Launches that began before this page was opened.
    void app.restored.then(() => jobs.refresh()).catch(() => undefined);
    reconnection.back.connect(() => {
      refreshEngines();
      void jobs.refresh().catch(() => undefined);
      void environments.refresh().catch(() => undefined);
    });

    const opener = new Views(app, services, restorer);
    addCommands(app, services, opener, palette, tracker);
    notifyOfLaunches(services);

    let opensNotebook = true;
    void app.restored
      .then(() => settings?.load(PLUGIN))
      .then(loaded => {
        if (!loaded) {
          return;
        }
        const read = (): void => {
          opensNotebook =
            loaded.get('openNotebookWhenReady').composite !== false;
        };
        read();
        loaded.changed.connect(read);
      })
      .catch(() => undefined);
    jobs.ended.connect((_, job) => {
      const panel = opener.watched(job.id);
      if (panel && job.phase === 'ready' && opensNotebook) {
        services.run(COMMANDS.notebook, { name: job.name });
        panel.dispose();
      }
    });

    launcher?.add({
      command: COMMANDS.create,
      args: { isLauncher: true },
      category: trans.__('DL environment'),
      rank: 1,
      // After notebooks, before consoles; older JupyterLabs know no ranks of categories.
      categoryRank: 5
    });

    const panel = new View(
      services,
      view => React.createElement(Sidebar, { view }),
      'jp-DLEnv-sidebar'
    );
    panel.id = 'jupyter-dlenv-sidebar';
    panel.title.icon = environmentIcon;
    panel.title.caption = trans.__('DL environments');
    panel.node.setAttribute('role', 'region');
    panel.node.setAttribute('aria-label', trans.__('DL environments'));
    app.shell.add(panel, 'left', { rank: 250 });
    restorer?.add(panel, panel.id);

    const status = new View(
      services,
      view => React.createElement(Status, { view }),
      'jp-DLEnv-status'
    );
    statusBar?.registerStatusItem('jupyter-dlenv:status', {
      item: status,
      align: 'left',
      rank: 20,
      isActive: () => services.current.environment !== null,
      activeStateChanged: services.current.changed
    });
  }
};

/** The language that the page is in: each translation of ours names its own. */
function languageOf(trans: TranslationBundle): string {
  return trans._p('language', 'en');
}

/** Whether the kernels of environments are the ones that JupyterLab offers. */
function isInStep(
  environments: readonly IEnvironment[],
  specs: KernelSpec.ISpecModels | null
): boolean {
  const offered = Object.keys(specs?.kernelspecs ?? {})
    .filter(name => name.startsWith(KERNEL))
    .sort();
  const wanted = environments.map(item => item.kernelName).sort();
  return offered.join() === wanted.join();
}

function openMenu(
  menu: Menu,
  environment: IEnvironment,
  x: number,
  y: number
): void {
  const args = { name: environment.name };
  const isRunning = environment.status === 'running';
  const groups: readonly (readonly string[])[] = [
    isRunning
      ? [COMMANDS.notebook, COMMANDS.console, COMMANDS.terminal]
      : [COMMANDS.start],
    [COMMANDS.connect, COMMANDS.logs, COMMANDS.takeAlong],
    isRunning ? [COMMANDS.restart, COMMANDS.stop] : [],
    [...(environment.gpus > 0 ? [COMMANDS.recreate] : []), COMMANDS.remove]
  ];
  menu.clearItems();
  groups
    .filter(group => group.length > 0)
    .forEach((group, index) => {
      if (index > 0) {
        menu.addItem({ type: 'separator' });
      }
      group.forEach(command =>
        menu.addItem({ command, args: { ...args, isMenu: true } })
      );
    });
  menu.open(x, y);
}

export default [environments, views];
