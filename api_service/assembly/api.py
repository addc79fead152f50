"""Wire the API: make what its routes use."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from api_service.assembly.door import build_access, build_door
from api_service.assembly.endings import build_endings
from api_service.assembly.stores import open_stores
from api_service.capabilities import CAPABILITIES
from api_service.celery_app import broker_options, celery_app
from api_service.config import Settings
from api_service.edge.answer_memory import AnswerMemory
from api_service.edge.draining import Draining
from api_service.endings.wakeups import EndingListener
from api_service.owners.use import CallerUse
from api_service.parser_client.http import ParserHttp
from api_service.process.collaborators import CollaboratorRegistry
from api_service.queueing.admission import Admission
from api_service.queueing.enqueue import Publisher
from api_service.queueing.unfinished import UnfinishedCount
from api_service.service import ParseRequestService


@asynccontextmanager
async def open_api(settings: Settings, draining: Draining) -> AsyncIterator[CollaboratorRegistry]:
    """Make the core's collaborators, then those of each capability.

    Args:
        settings: of this process.
        draining: ends the long polls before a stop.

    Raises:
        SchemaOutdatedError: the database lacks a migration.
        RedisRefusedError: Redis does not let us in.
        DatabaseUnavailableError: the database does not answer.
    """
    async with AsyncExitStack() as stack:
        stores = await stack.enter_async_context(
            open_stores(settings, transaction_seconds=settings.database_timeout)
        )
        parser = _open_parser(settings, stack)
        publisher = _open_publisher(settings, stack)
        ending_listener = _open_ending_listener(settings, draining, stack)
        limit = settings.max_queue_depth
        unfinished = UnfinishedCount(stores.database, ending_listener, limit=limit)
        admission = await Admission.open(unfinished, max_unfinished=limit)
        use = CallerUse(stores.database, timeout=settings.database_timeout)
        service = ParseRequestService(
            database=stores.database,
            publisher=publisher,
            ending_listener=ending_listener,
            parser=parser,
            admission=admission,
            caller_use=use,
            answers=AnswerMemory(settings.max_answer_bytes),
            timeout=settings.database_timeout,
        )
        endings = build_endings(settings, stores.database, CAPABILITIES)
        collaborators = CollaboratorRegistry(
            *(stores.database, stores.redis, stores.queues, ending_listener, draining),
            *(service, publisher, endings, unfinished, use),
            *build_access(settings, stores.redis),
        )
        for capability in CAPABILITIES:
            if capability.open is not None:
                await stack.enter_async_context(capability.open(settings, collaborators))
        collaborators.add(build_door(settings, collaborators))
        yield collaborators


def _open_publisher(settings: Settings, stack: AsyncExitStack) -> Publisher:
    """Make what sends Celery's messages; close it with the process."""
    publisher = Publisher(
        celery_app, timeout=settings.publish_timeout, broker_options=broker_options(settings)
    )
    stack.push_async_callback(publisher.close)
    return publisher


def _open_parser(settings: Settings, stack: AsyncExitStack) -> ParserHttp:
    """Make the client of the parser; close it with the process."""
    parser = ParserHttp(
        settings.parser_url,
        timeout=settings.parser_timeout,
        largest=settings.largest_result_bytes,
    )
    stack.push_async_callback(parser.close)
    return parser


def _open_ending_listener(
    settings: Settings, draining: Draining, stack: AsyncExitStack
) -> EndingListener:
    """Begin to listen for ended requests; stop with the process."""
    listener = EndingListener(settings.database_address)
    listener.open()
    stack.push_async_callback(listener.close)
    draining.on_begin(listener.end_waits)
    return listener
