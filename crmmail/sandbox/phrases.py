"""What the generated people write about. Invented business prose in Brazilian Portuguese and English.

{n} a number · {money} {percent} {quantity} {hour} · {day} a weekday, {date} a date · {product} {city} {first} {company}
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Topic:
    """A conversation: its subject, what the first message says, what the answers may say."""

    subject: str
    opening: tuple[str, ...]
    answers: tuple[str, ...]


CUSTOMER = {
    "pt": (
        Topic(
            "Proposta comercial {n} – {product}",
            (
                "Conforme conversamos, segue a proposta para {product} com entrega em {city}.",
                "O valor total ficou em {money}, já com o desconto de {percent} para pagamento em 28 dias.",
                "A validade da proposta é {date}; depois disso preciso consultar a tabela nova.",
                "Se preferirem, apresento os números por vídeo na {day}, às {hour}.",
            ),
            (
                "Recebi a proposta, obrigado. Vou levar à diretoria na {day} e retorno em seguida.",
                "Conseguimos chegar a {money} se fecharmos {quantity} unidades por mês?",
                "O prazo de entrega é o que mais pesa do nosso lado: precisamos de no máximo {quantity} dias.",
                "Com {percent} de desconto eu aprovo hoje mesmo.",
                "Ajustei a proposta e incluí o frete até {city}. O total passou para {money}.",
            ),
        ),
        Topic(
            "Avaria na entrega {n}",
            (
                "A carga do pedido {n} chegou hoje às {hour} em {city} com {quantity} volumes avariados.",
                "O motorista assinou a ressalva no canhoto; as fotos estão com a nossa portaria.",
                "Precisamos saber como proceder com a devolução e com a nota de {money}.",
            ),
            (
                "Sentimos muito pelo ocorrido. Abri o sinistro {n} e a seguradora vai responder até {date}.",
                "Podemos reenviar {quantity} caixas já na {day}, sem custo de frete.",
                "As fotos ajudaram bastante. Falta apenas o laudo da qualidade.",
                "O laudo saiu: a avaria foi na descarga, a reposição será faturada a zero.",
            ),
        ),
        Topic(
            "Renovação do contrato {n}",
            (
                "O contrato {n} vence em {date} e gostaríamos de renovar por mais doze meses.",
                "O índice previsto na cláusula de reajuste fecha em {percent} no período.",
                "Segue a minuta do aditivo para revisão do jurídico.",
            ),
            (
                "O jurídico pediu apenas um ajuste na cláusula de vigência.",
                "Entendo o reajuste, mas {percent} está acima do nosso orçamento. Há espaço para conversar?",
                "Aditivo assinado de nossa parte. Quando chega a via de vocês?",
                "Via assinada recebida, muito obrigada. O contrato segue até {date}.",
            ),
        ),
        Topic(
            "Boleto em aberto – nota {n}",
            (
                "Identificamos em aberto o boleto da nota {n}, no valor de {money}, vencido em {date}.",
                "Caso o pagamento já tenha sido feito, por favor envie o comprovante para a baixa.",
            ),
            (
                "O boleto foi pago ontem, o comprovante está em anexo.",
                "Houve um atraso na aprovação interna; o pagamento entra na {day}.",
                "Baixa realizada. Obrigado pelo retorno rápido!",
                "Poderia reemitir com vencimento em {date}? A nota chegou com o CNPJ da filial.",
            ),
        ),
        Topic(
            "Coleta em {city} na {day}",
            (
                "Temos {quantity} paletes de {product} prontos para coleta em {city}.",
                "A janela é das {hour} às 18h; o portão pede agendamento com placa e nome do motorista.",
            ),
            (
                "Coleta agendada, protocolo {n}. O motorista chega às {hour}.",
                "A placa mudou: o caminhão será outro, o mesmo motorista.",
                "Carregamento concluído com {quantity} volumes. Previsão de chegada em {date}.",
                "O portão segurou o caminhão por uma hora, podemos rever a janela para a próxima vez?",
            ),
        ),
        Topic(
            "Dúvida sobre a fatura {n}",
            (
                "Na fatura {n} aparece uma taxa de {money} que não consta na nossa tabela.",
                "Poderiam explicar a que se refere? O fechamento do mês é na {day}.",
            ),
            (
                "A taxa é a diária do contêiner em {city}: foram {quantity} dias além do prazo livre.",
                "Certo, agora entendi. Podem detalhar isso na fatura da próxima vez?",
                "Emiti uma carta de correção com o detalhamento.",
                "Vou estornar {percent} da taxa porque o atraso foi da nossa transportadora.",
            ),
        ),
        Topic(
            "Visita técnica em {city}",
            (
                "Gostaríamos de visitar a operação de {city} com duas pessoas da engenharia.",
                "Sugiro {date}, a partir das {hour}. O foco é o armazém de {product}.",
            ),
            (
                "A data está confirmada. Enviem os documentos dos visitantes até {day}.",
                "Lembrem do calçado de segurança, a área de docas exige.",
                "Obrigado pela visita! O resumo com as {quantity} ações está abaixo.",
            ),
        ),
        Topic(
            "Pedido {n}: {product}",
            (
                "Segue o pedido {n}: {quantity} caixas de {product}, entrega em {city} até {date}.",
                "Condição de pagamento e preço conforme a última negociação, {money} no total.",
            ),
            (
                "Pedido recebido e liberado para separação.",
                "Do total, {quantity} caixas seguem na {day}; o restante depende da produção.",
                "Pode entregar parcial, sem problema. Só separe as notas.",
                "Nota emitida, o XML está em anexo.",
            ),
        ),
        Topic(
            "Indicadores de {product} no mês",
            (
                "Os indicadores do mês fecharam com {percent} das entregas no prazo.",
                "O ponto fora da curva foi {city}, com {quantity} reentregas.",
                "A planilha com o detalhe por rota está em anexo.",
            ),
            (
                "Bom resultado! O que explica as reentregas de {city}?",
                "Endereços incompletos no cadastro, já corrigimos {quantity} deles.",
                "Vamos acompanhar na reunião de {day}.",
            ),
        ),
        Topic(
            "Acesso ao portal de rastreio",
            (
                "Nossa equipe de {city} ainda não consegue entrar no portal de rastreio.",
                "Aparece a mensagem {n} depois da senha. São {quantity} usuários parados.",
            ),
            (
                "O acesso foi liberado, pode pedir que tentem de novo?",
                "Funcionou para todos menos um. Mando o nome em separado.",
                "Era a senha expirada. Resolvido, obrigado!",
            ),
        ),
    ),
    "en": (
        Topic(
            "Proposal {n}: {product}",
            (
                "As discussed, please find our proposal for {product}, delivered to {city}.",
                "The total comes to {money}, including the {percent} discount for 30 days.",
                "The offer stands until {date}.",
            ),
            (
                "Thank you, I will take this to the board on {day}.",
                "Could we reach {money} if we commit to {quantity} units a month?",
                "Lead time matters most to us: {quantity} days at the latest.",
                "I have updated the figures and added freight to {city}.",
            ),
        ),
        Topic(
            "Damaged goods, shipment {n}",
            (
                "Shipment {n} arrived in {city} at {hour} with {quantity} damaged cartons.",
                "The driver signed the remark. How would you like to proceed with the return?",
            ),
            (
                "I am sorry to hear that. Claim {n} is open, the insurer answers by {date}.",
                "We can send {quantity} replacement cartons on {day}.",
                "The survey is in: it happened during unloading, the replacement is free of charge.",
            ),
        ),
        Topic(
            "Contract renewal {n}",
            (
                "Contract {n} ends on {date}; we would like to renew for twelve months.",
                "The index in clause 9 comes to {percent}. The draft amendment is attached.",
            ),
            (
                "Legal asks for one change in the term clause.",
                "{percent} is above our budget. Is there room to talk?",
                "Signed on our side, when can we expect your copy?",
            ),
        ),
        Topic(
            "Customs clearance in {city}",
            (
                "The container of {product} is held in {city}: the certificate of origin is missing.",
                "Storage costs {money} a day from {day} on.",
            ),
            (
                "The certificate is on its way, number {n}.",
                "The broker confirmed the release for {date}.",
                "Released this morning at {hour}, the truck is loading.",
            ),
        ),
        Topic(
            "Question on invoice {n}",
            (
                "Invoice {n} shows a charge of {money} we cannot match to an order.",
                "Could you tell us what it stands for before {day}?",
            ),
            (
                "That is the demurrage in {city}, {quantity} days over the free time.",
                "Understood. Could it be itemised next time?",
                "A credit note of {percent} follows, the delay was on our carrier.",
            ),
        ),
        Topic(
            "Freight quote {city}",
            (
                "Please quote {quantity} pallets of {product} to {city}, ready on {date}.",
                "Air and sea, please, both with insurance.",
            ),
            (
                "Sea comes to {money}, about {quantity} days door to door.",
                "We take the sea option. Booking number, please?",
                "Booked under {n}, cut-off is {day} at {hour}.",
            ),
        ),
        Topic(
            "Minutes of {day}'s call",
            (
                "Thanks for the good call. Here is what we agreed:",
                "1. {company} sends the forecast for {product} by {date}.",
                "2. We check the warehouse in {city} for {quantity} more pallets.",
                "3. Prices stay until the end of the quarter.",
            ),
            (
                "Thanks, that matches my notes.",
                "One addition to point 2: the racks arrive on {day}.",
                "Forecast attached, {percent} above last quarter.",
            ),
        ),
    ),
}

INTERNAL = (
    Topic(
        "Reunião de {day} – pauta",
        (
            "Pessoal, a pauta de {day}: resultados do mês, {product} em {city} e férias da equipe.",
            "Quem tiver um ponto a mais, me mande até as {hour}.",
        ),
        (
            "Inclua, por favor, a renovação da frota. São {quantity} veículos.",
            "Estarei em {city}, participo por vídeo.",
            "Ata enviada. As {quantity} ações têm dono e prazo.",
        ),
    ),
    Topic(
        "Aprovação de despesa {n}",
        (
            "Preciso da sua aprovação para a despesa {n}, no valor de {money}.",
            "É a hospedagem da feira em {city}, dentro do orçamento do trimestre.",
        ),
        ("Aprovado.", "Falta o centro de custo, por favor complete.", "Completado, pode olhar de novo?"),
    ),
    Topic(
        "Escala do plantão – {date}",
        (
            "Segue a escala do plantão a partir de {date}.",
            "Trocas até {day}, sempre com os dois de acordo e copiando a coordenação.",
        ),
        ("Troco com o {first}, ele já concordou.", "Escala atualizada.", "Pode me tirar da madrugada de {day}?"),
    ),
    Topic(
        "Previsão de {product} para o trimestre",
        (
            "A previsão comercial do trimestre está {percent} acima da anterior.",
            "O armazém de {city} comporta mais {quantity} paletes; acima disso precisamos do anexo.",
        ),
        (
            "Com o anexo o custo sobe {money} por mês. Vale se durar mais de um trimestre.",
            "Proponho decidir na {day}, com os números fechados.",
        ),
    ),
    Topic(
        "Auditoria de qualidade em {city}",
        (
            "A auditoria externa chega em {date}. São dois dias, começando pelas docas.",
            "Revisem os registros de {product}, da última vez houve {quantity} apontamentos.",
        ),
        (
            "Registros revisados, falta só a calibração das balanças.",
            "Passamos sem não conformidades. Parabéns a todos!",
        ),
    ),
    Topic(
        "Aniversariantes e café da {day}",
        ("O café do mês é na {day}, às {hour}, na copa do terceiro andar.", "Este mês são {quantity} aniversariantes!"),
        ("Levo o bolo.", "Presença confirmada!", "Estarei na estrada, guardem um pedaço."),
    ),
)

STRANGERS = {
    "pt": (
        Topic(
            "Parceria em {city}",
            (
                "Encontrei o seu contato na feira e gostaria de apresentar a nossa empresa.",
                "Trabalhamos com {product} há {quantity} anos e atendemos toda a região de {city}.",
                "Podemos conversar quinze minutos na {day}?",
            ),
            ("Obrigado pelo contato, no momento não temos demanda.", "Claro, às {hour} está bom."),
        ),
        Topic(
            "Candidatura à vaga {n}",
            (
                "Tenho interesse na vaga {n} em {city}.",
                "O currículo está em anexo, fico à disposição para uma conversa.",
            ),
            ("Recebemos a sua candidatura e retornamos até {date}.",),
        ),
    ),
    "en": (
        Topic(
            "Quick question about {product}",
            ("We met at the fair in {city}.", "Who looks after {product} at your company?"),
            ("That would be me, how can I help?", "Great, does {day} at {hour} work?"),
        ),
    ),
}
DRAFTS = (
    ("Proposta {product} – rascunho", "{first}, estou fechando os números de {city} e envio ainda"),
    ("Resposta à reclamação {n}", "Prezado {first}, apuramos o ocorrido e"),
    ("Férias", "Gostaria de marcar {quantity} dias a partir de {date}"),
    ("", "Ligar para {company} na {day}, falar com {first}"),
)
PRODUCTS = {
    "pt": """carga refrigerada;autopeças;tecidos;café em grão;painéis cerâmicos;bobinas de aço;medicamentos;papel
    cartão;cosméticos;sementes;móveis planos;bebidas;embalagens;resina""",
    "en": "coffee beans;steel coils;ceramic panels;spare parts;chilled freight;cotton bales;packaging;resin;seeds",
}
DAYS = {
    "pt": ("segunda-feira", "terça-feira", "quarta-feira", "quinta-feira", "sexta-feira"),
    "en": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday"),
}
GREETING = {
    "pt": ("Olá, {first}!", "Bom dia, {first},", "{first}, tudo bem?", "Prezado(a) {first},"),
    "en": ("Hi {first},", "Dear {first},", "Hello {first},"),
}
CLOSING = {
    "pt": ("Atenciosamente,", "Abraço,", "Obrigado,", "Fico à disposição,"),
    "en": ("Best regards,", "Kind regards,", "Thanks,"),
}
FILLER = {
    "pt": (
        "Fico no aguardo do seu retorno.",
        "Qualquer dúvida, pode me ligar no ramal {n}.",
        "Copio aqui a equipe de {city} para acompanhar.",
        "Se precisarem de mais algum documento, é só avisar.",
        "Na {day} estarei em viagem, mas respondo pelo celular.",
        "O volume previsto para o mês continua em {quantity} paletes.",
        "Aproveito para lembrar que a tabela nova vale a partir de {date}.",
        "O responsável pelo recebimento em {city} é {first}.",
        "Registrei tudo no protocolo {n} para não perdermos o histórico.",
    ),
    "en": (
        "Looking forward to your answer.",
        "Call me on extension {n} if anything is unclear.",
        "I copy the team in {city} so that they can follow.",
        "The volume for the month stays at {quantity} pallets.",
        "I travel on {day} but answer from the phone.",
        "Please note that the new price list holds from {date}.",
    ),
}
LABELS = ("Clientes", "Financeiro", "Contratos", "Viagens", "Projetos/Armazém Sul", "Equipe")
